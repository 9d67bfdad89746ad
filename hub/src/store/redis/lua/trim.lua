-- Trims a room by its rules; gives the oldest entry that is left where anything went, and whether there is more to do.
local now, tenant, room, count, age = num(), arg(), arg(), num(), num()
local r = read_room(P .. 'r/' .. tenant .. '/' .. room)
local member = 'a/' .. tenant .. '/' .. room
if not r.exists then
  call('ZREM', P .. 'due', member)
  return { 0, 0, 0 }
end
local went = trim(r, count, age, now, 500)
if went then save_room(r) end
save_stored(tenant)
local ends = oldest_ends(r, age)
if ends then call('ZADD', P .. 'due', ends, member) else call('ZREM', P .. 'due', member) end
local more = (count > 0 and r.head - r.first + 1 > count) or (ends and ends <= now)
return { went and r.first or 0, more and 1 or 0, stored }
