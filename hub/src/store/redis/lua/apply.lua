-- Applies what an item of another partition's outbox causes in this one, once: items come in order.
local source, epoch, number, now, publish, head = arg(), arg(), num(), num(), arg(), arg()
-- By the epoch as well: what was lost may have had greater numbers than what follows on it. Of each source the last epochs are
-- kept, the latest first: nodes that have not gone over to it yet put in what is of one before. Nodes of versions before know
-- a field for each epoch instead: that of the latest is kept beside, and what they have put there counts as well.
local EPOCHS = 4
local of, up_to, gone = { epoch }, { [epoch] = 0 }, {}
local function count(of_epoch, applied)
  if not up_to[of_epoch] then of[#of + 1] = of_epoch end
  up_to[of_epoch] = math.max(up_to[of_epoch] or 0, (struct.unpack('<I8', applied)))
end
local known, beside = call('HGET', P .. 'fx', source) or '', call('HGET', P .. 'fx', source .. '/' .. epoch)
for n = 1, #known, 16 do count(string.sub(known, n, n + 7), string.sub(known, n + 8, n + 15)) end
if beside then count(epoch, beside) end
if up_to[epoch] >= number then return { 'dup' } end
if not beside or string.sub(known, 1, 8) ~= epoch then
  for _, field in ipairs(call('HKEYS', P .. 'fx')) do
    if string.sub(field, 1, #source + 1) == source .. '/' then
      count(string.sub(field, #source + 2), call('HGET', P .. 'fx', field))
      gone[#gone + 1] = field
    end
  end
end
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
up_to[epoch] = number
local done = {}
for n = 1, math.min(#of, EPOCHS) do done[n] = of[n] .. struct.pack('<I8', up_to[of[n]]) end
for _, field in ipairs(gone) do call('HDEL', P .. 'fx', field) end
call('HSET', P .. 'fx', source, table.concat(done), source .. '/' .. epoch, struct.pack('<I8', number))
tell_all()
return reply
