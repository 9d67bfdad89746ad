-- Messages ever sent to a tenant's rooms of this partition.
local tenant = arg()
local sum = 0
for _, room in ipairs(call('ZRANGE', P .. 'names/' .. tenant, 0, -1)) do
  sum = sum + read_room(P .. 'r/' .. tenant .. '/' .. room).number
end
return sum
