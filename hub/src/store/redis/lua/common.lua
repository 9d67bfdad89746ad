-- What all scripts share. KEYS[1] is what all keys of the partition begin with; arguments are taken in order.
--
-- Keys of a partition: keys, keyq (idempotency), out, outn (outbox), fx (how far effects were applied, by the partition
-- that they came from), due (what is to be looked at, by when), names/TENANT (its rooms), wrote/TENANT/USER (rooms where somebody wrote),
-- count/TENANT, tenants, pass (the rules of retention that all rooms were gone over for), index (the
-- epoch in which the index of their members' rooms was made of them), beat (written to see that it can be).
-- Of a room: r/TENANT/ROOM with h (head), c (cold state), m (metadata); /e entries, /m members, /o their order, /k marks, /d
-- edits of a message, /x/SEQ its reactions, /xs which have any, /l last event of each key.
-- Of a user: u/TENANT/USER with head, time, read (broadcasts up to here), own (the own log up to here, while /u has some of
-- that); /n notices, /z their order, /i by id, /u unread, /ue those that expire,
-- /c critical, /ce, /s broadcasts seen, /x deleted, /r rooms. Of a tenant: t/TENANT with head, time, ver; /n, /z, /i, /m
-- what is counted, /d directory.
local P = KEYS[1]
local at = 0
local function arg() at = at + 1 return ARGV[at] end
local function num() return tonumber(arg()) end
local call = redis.call

local function text16(s) return struct.pack('<H', #s) .. s end

-- Header of an entry, and its body's place.
local function open(record)
  local kind, tag, time, number, version, edited, length, place = struct.unpack('<BI4i8I8I4i8B', record)
  return {
    kind = kind, tag = tag, time = time, number = number, version = version, edited = edited,
    sender = string.sub(record, place, place + length - 1), body = string.sub(record, place + length)
  }
end

local function close(e)
  return struct.pack('<BI4i8I8I4i8B', e.kind, e.tag, e.time, e.number, e.version, e.edited, #e.sender) .. e.sender .. e.body
end

-- Whether a message still says something.
local function has_content(e)
  return e.kind == 1 and struct.unpack('<I4', e.body, 9) > 0
end

-- What other nodes are to be told: publish is the command, or '' where they are told otherwise.
local untold = {}
local function tell(publish, head, channel, kind, body)
  if publish ~= '' then
    untold[#untold + 1] = { publish, channel, '\1' .. string.char(kind) .. head .. body }
  end
end

-- Tells it, when all is written: a script that is broken off leaves what it has done. Nodes that cannot be told find it missing.
local function tell_all()
  for _, message in ipairs(untold) do redis.pcall(message[1], message[2], message[3]) end
end

-- When a notification goes: when it expires, or was kept long enough.
local function ends_at(time, expires, retention)
  local ends = time + retention
  if expires > 0 and expires < ends then return expires end
  return ends
end

-- Places of a sorted set from `from` upwards (A) or downwards, so many; after one, where that is given.
local function places(key, direction, from, most, after)
  if direction == 'A' then
    return call('ZRANGEBYSCORE', key, '(' .. math.max(tonumber(from), after or 0), '+inf', 'LIMIT', 0, most)
  end
  return call('ZREVRANGEBYSCORE', key, '(' .. from, after and '(' .. after or '-inf', 'LIMIT', 0, most)
end
