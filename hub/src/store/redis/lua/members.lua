-- A page of a room's members in order of their ids, from `from` on: their ids, and what is kept of each.
local base, from, most = P .. arg(), arg(), num()
local users = call('ZRANGEBYLEX', base .. '/o', from, '+', 'LIMIT', 0, most)
if #users == 0 then return { {}, {} } end
return { users, call('HMGET', base .. '/m', unpack(users)) }
