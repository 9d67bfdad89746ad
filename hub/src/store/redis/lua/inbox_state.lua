-- A user's own log.
local function forget_unread(base, seq)
  local was = call('ZREM', base .. '/u', seq)
  if was == 1 then
    call('ZREM', base .. '/ue', seq)
    if call('ZREM', base .. '/c', seq) == 1 then call('ZREM', base .. '/ce', seq) end
  end
  return was == 1
end

local function remove_own(base, tenant, id, seq)
  call('HDEL', base .. '/n', seq)
  call('ZREM', base .. '/z', seq)
  if id and call('HGET', base .. '/i', id) == tostring(seq) then call('HDEL', base .. '/i', id) end
  forget_unread(base, seq)
  call('HINCRBY', P .. 'count/' .. tenant, 'notices', -1)
end

-- The id of a notice that is kept: after time, priority and expiry.
local function notice_id(record)
  local length = struct.unpack('<H', record, 18)
  return string.sub(record, 20, 19 + length)
end

local function counted(base, now)
  local unread = call('ZCARD', base .. '/u') - call('ZCOUNT', base .. '/ue', '-inf', now)
  local critical = call('ZCARD', base .. '/c') - call('ZCOUNT', base .. '/ce', '-inf', now)
  return unread, critical
end

-- Everything that a summary is made of: head, how far broadcasts were read, unread, critical, seen, deleted.
local function inbox_state(base, now)
  local found = call('HMGET', base, 'head', 'read')
  local unread, critical = counted(base, now)
  return {
    tonumber(found[1] or 0), tonumber(found[2] or 0), unread, critical,
    call('ZRANGE', base .. '/s', 0, -1), call('SMEMBERS', base .. '/x')
  }
end
