-- Keeps a revocation behind all others. Of two of the same the later instant stays.
local subject, kind, instant, publish, head, body = arg(), arg(), num(), arg(), arg(), arg()
local base = P .. 'hub/v'
local old = call('HGET', base, subject)
if old then
  local _, before = struct.unpack('<I8i8', old)
  call('ZREM', base .. 'z', subject)
  instant = math.max(instant, before)
end
-- Places go with the server's time, so that those which were lost are not given out again: nodes read on from where they were.
-- A node's own would not do: one whose clock is ahead would have places that the others' come before.
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local place = math.max(tonumber(call('HGET', P .. 'hub', 'revocations') or 0) + 1, now * 1024)
call('HSET', P .. 'hub', 'revocations', string.format('%.0f', place))
call('HSET', base, subject, struct.pack('<I8i8', place, instant))
call('ZADD', base .. 'z', string.format('%.0f', place), subject)
-- A token's is forgotten once it has ended, the others' a while after their instant.
call('ZADD', base .. (kind == '1' and 'e' or 'b'), instant, subject)
tell(publish, head, P .. 'hub/c', 6, struct.pack('<I8i8', place, instant) .. body)
tell_all()
return 1
