-- What is counted of a tenant's broadcasts: version, head, the oldest, and of the newest each place, priority, expiry.
local tenant, known, most = arg(), arg(), num()
local base = P .. 't/' .. tenant
local found = call('HMGET', base, 'ver', 'head')
local version = found[1] or '0'
if version == known then return { version } end
local reply = { version, tonumber(found[2] or 0), 0 }
local oldest = call('ZRANGE', base .. '/z', 0, 0)
if oldest[1] then reply[3] = tonumber(oldest[1]) end
for _, seq in ipairs(call('ZREVRANGE', base .. '/z', 0, most - 1)) do
  local priority, expires = struct.unpack('<Bi8', call('HGET', base .. '/m', seq))
  reply[#reply + 1] = tonumber(seq)
  reply[#reply + 1] = priority
  reply[#reply + 1] = expires
end
return reply
