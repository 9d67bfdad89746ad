-- A room as one of its members lists it: room, metadata, membership, marks, last message, reactions, the other of two.
local tenant, room, user, unread_only = arg(), arg(), arg(), arg() == '1'
local r = read_room(P .. 'r/' .. tenant .. '/' .. room)
if not r.exists then return {} end
local member = call('HGET', r.base .. '/m', user)
if not member then return {} end
local marks = call('HGET', r.base .. '/k', user) or ''
if unread_only then
  local number = 0
  if marks ~= '' then number = struct.unpack('<I8', marks, 17) end
  if r.number <= number then return {} end
end
local reply = { r.hot, r.cold or '', call('HGET', r.base, 'm') or '', member, marks, false, false, false }
local _, _, _, from = struct.unpack('<BI8I8I8', member)
if r.last > 0 and r.last >= from and r.last >= r.first then
  reply[6] = entry_at(r, r.last) or false
  if call('SISMEMBER', r.base .. '/xs', r.last) == 1 then reply[7] = call('SMEMBERS', r.base .. '/x/' .. r.last) end
end
if r.direct == 1 then
  for _, other in ipairs(call('ZRANGE', r.base .. '/o', 0, 1)) do
    if other ~= user then reply[8] = other end
  end
end
return reply
