-- The script by which nodes of the version before apply what an item of another partition's outbox causes, as it was.
local source, epoch, number, now, publish, head = arg(), arg(), num(), num(), arg(), arg()
-- By the epoch as well: what was lost may have had greater numbers than what follows on it.
local done = source .. '/' .. epoch
local applied = call('HGET', P .. 'fx', done)
if applied and struct.unpack('<I8', applied) >= number then return { 'dup' } end
local kind, tenant = arg(), arg()
local reply = { 'ok' }
if kind == '1' then
  local notice, id, priority, expires, retention = arg(), arg(), num(), num(), num()
  for _ = 1, num() do
    local user = arg()
    local base = P .. 'u/' .. tenant .. '/' .. user
    local found = call('HMGET', base, 'head', 'time')
    local seq = tonumber(found[1] or 0) + 1
    local time = math.max(tonumber(found[2] or 0), now)
    local old = call('HGET', base .. '/i', id)
    if old then remove_own(base, tenant, id, tonumber(old)) end
    call('HSET', base, 'head', seq, 'time', time)
    call('HSET', base .. '/n', seq, struct.pack('<i8', time) .. notice)
    call('ZADD', base .. '/z', seq, seq)
    call('HSET', base .. '/i', id, seq)
    call('ZADD', base .. '/u', seq, seq)
    if expires > 0 then call('ZADD', base .. '/ue', expires, seq) end
    if priority == 4 then
      call('ZADD', base .. '/c', seq, seq)
      if expires > 0 then call('ZADD', base .. '/ce', expires, seq) end
    end
    call('ZADD', P .. 'due', ends_at(time, expires, retention), 'n/' .. tenant .. '/' .. user .. '/' .. seq)
    call('HINCRBY', P .. 'count/' .. tenant, 'notices', 1)
    tell(publish, head, base .. '/c', 3, struct.pack('<I8i8', seq, time) .. notice)
    reply[#reply + 1] = seq
    reply[#reply + 1] = time
  end
  call('SADD', P .. 'tenants', tenant)
else
  local room = arg()
  for _ = 1, num() do
    local add, user = arg(), arg()
    local key = P .. 'u/' .. tenant .. '/' .. user .. '/r'
    local changed = add == '1' and call('ZADD', key, 0, room) or add == '0' and call('ZREM', key, room)
    if changed == 1 then
      -- Nodes where the user is connected may not follow the room.
      tell(publish, head, P .. 'u/' .. tenant .. '/' .. user .. '/c', 10, '\1' .. text16(room) .. string.char(add))
    end
    reply[#reply + 1] = changed
  end
end
call('HSET', P .. 'fx', done, struct.pack('<I8', number))
tell_all()
return reply
