-- A page of revocations after one, in order, and what has ended goes: tokens that end by `now`, and what reaches those of before
-- an instant up to `reached`, where they live for so long at most.
local after, most, now, reached = arg(), num(), num(), arg()
local base = P .. 'hub/v'
local function forget(kind, instant)
  for _, ended in ipairs(call('ZRANGEBYSCORE', base .. kind, '-inf', instant, 'LIMIT', 0, 1000)) do
    call('ZREM', base .. kind, ended)
    call('ZREM', base .. 'z', ended)
    call('HDEL', base, ended)
  end
end
forget('e', now)
if reached ~= '' then forget('b', reached) end
local reply = {}
for _, subject in ipairs(call('ZRANGEBYSCORE', base .. 'z', '(' .. after, '+inf', 'LIMIT', 0, most)) do
  local record = call('HGET', base, subject)
  reply[#reply + 1] = subject
  reply[#reply + 1] = record
  -- One that a version before has kept, which said of tokens alone when they go.
  if record and string.sub(subject, 1, 1) ~= '1' and not call('ZSCORE', base .. 'b', subject) then
    local _, instant = struct.unpack('<I8i8', record)
    call('ZADD', base .. 'b', instant, subject)
  end
end
return reply
