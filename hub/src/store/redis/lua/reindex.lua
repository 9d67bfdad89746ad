-- Puts into the outbox that a room is among the rooms of a page of its members: there it keeps its place among what puts them in
-- and takes them out. Gives its number there (0 where there is none), and after whom to go on; nobody where these were the last.
local tenant, room, from, most, head = arg(), arg(), arg(), num(), arg()
if outbox_is_full() then return { 'over' } end
local users = call('ZRANGEBYLEX', P .. 'r/' .. tenant .. '/' .. room .. '/o', from, '+', 'LIMIT', 0, most)
if #users == 0 then return { 'ok', 0, '' } end
local index = {}
for n, user in ipairs(users) do index[n] = '\1' .. text16(user) end
local number = put_out(2, tenant, text16(room) .. table.concat(index), head)
return { 'ok', number, #users == most and users[#users] or '' }
