-- What a user has done with some of the tenant's broadcasts: 0 nothing, 1 read, 2 deleted; those up to the mark apart.
local tenant, user = arg(), arg()
local base = P .. 'u/' .. tenant .. '/' .. user
local places, reply = {}, {}
for n = 1, num() do places[n] = arg() end
local scores = call('ZMSCORE', base .. '/s', unpack(places))
local deleted = call('SMISMEMBER', base .. '/x', unpack(places))
for n = 1, #places do reply[n] = deleted[n] == 1 and 2 or scores[n] and 1 or 0 end
return reply
