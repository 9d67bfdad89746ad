-- A page of the tenant's broadcasts: from `from` upwards or downwards, so many.
local tenant, direction, from, most = arg(), arg(), arg(), num()
local base = P .. 't/' .. tenant
local seqs
if direction == 'A' then
  seqs = call('ZRANGEBYSCORE', base .. '/z', '(' .. from, '+inf', 'LIMIT', 0, most)
else
  seqs = call('ZREVRANGEBYSCORE', base .. '/z', '(' .. from, '-inf', 'LIMIT', 0, most)
end
local reply = {}
for _, seq in ipairs(seqs) do
  reply[#reply + 1] = tonumber(seq)
  reply[#reply + 1] = call('HGET', base .. '/n', seq) or ''
end
return reply
