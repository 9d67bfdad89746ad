-- A page of the tenant's broadcasts: from `from` upwards or downwards, so many.
local tenant, direction, from, most = arg(), arg(), arg(), num()
local base = P .. 't/' .. tenant
local reply = {}
for _, seq in ipairs(places(base .. '/z', direction, from, most)) do
  reply[#reply + 1] = tonumber(seq)
  reply[#reply + 1] = call('HGET', base .. '/n', seq) or ''
end
return reply
