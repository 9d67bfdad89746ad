-- Keeps a revocation behind all others. Of two of the same the later instant stays.
local subject, kind, instant, now, publish, head, body = arg(), arg(), num(), num(), arg(), arg(), arg()
local base = P .. 'hub/v'
local old = call('HGET', base, subject)
if old then
  local _, before = struct.unpack('<I8i8', old)
  call('ZREM', base .. 'z', subject)
  instant = math.max(instant, before)
end
local seq = call('HINCRBY', P .. 'hub', 'revocations', 1)
call('HSET', base, subject, struct.pack('<I8i8', seq, instant))
call('ZADD', base .. 'z', seq, subject)
-- A token's is forgotten once it has ended.
if kind == '1' then call('ZADD', base .. 'e', instant, subject) end
tell(publish, head, P .. 'hub/c', 6, struct.pack('<I8i8', seq, instant) .. body)
return seq
