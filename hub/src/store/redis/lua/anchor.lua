-- Notes where an audit chain stands instead of the others of its hour; past so many the oldest go.
local chain, seq, time, seal, most = arg(), num(), num(), arg(), num()
local base = P .. 'hub/a'
local field = chain .. string.format('%016x', math.floor(time / 3600000))
local old = call('HGET', base, field)
if old then
  local before = struct.unpack('<I8', old)
  if before > seq then field = field .. string.format('/%d', seq) end
end
call('HSET', base, field, struct.pack('<I8i8', seq, time) .. chain .. seal)
call('ZADD', base .. 'z', time, field)
local excess = call('ZCARD', base .. 'z') - most
if excess > 0 then
  for _, gone in ipairs(call('ZRANGE', base .. 'z', 0, excess - 1)) do
    call('HDEL', base, gone)
    call('ZREM', base .. 'z', gone)
  end
end
return 1
