-- A page of revocations after one, in order, and what has ended goes: tokens that have ended, and what reaches those of before
-- an instant `kept` milliseconds after it, where they live for so long at most. The time is the server's, unless it is given: a node
-- whose clock is ahead would take from all what is still good.
local after, most, now, kept = arg(), num(), num(), num()
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local base = P .. 'hub/v'
local function forget(kind, instant)
  for _, ended in ipairs(call('ZRANGEBYSCORE', base .. kind, '-inf', instant, 'LIMIT', 0, 1000)) do
    call('ZREM', base .. kind, ended)
    call('ZREM', base .. 'z', ended)
    call('HDEL', base, ended)
  end
end
forget('e', string.format('%.0f', now))
if kept then forget('b', string.format('%.0f', now - kept)) end
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
