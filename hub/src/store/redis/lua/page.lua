-- A page of a room's log, one item more than asked for, with the room and its messages' reactions; whether it ends early, as
-- reactions are many and not all of them are shown.
local tenant, room, direction, from, items, bytes = arg(), arg(), arg(), num(), num(), num()
local r = read_room(P .. 'r/' .. tenant .. '/' .. room)
if not r.exists then return {} end
local reply = { r.hot, 0 }
local step, seq, last
if direction == 'A' then
  step, seq, last = 1, math.max(from + 1, r.first), r.head
else
  step, seq, last = -1, math.min(from - 1, r.head), r.first
end
local reacted = call('EXISTS', r.base .. '/xs') == 1
local taken = 0
while items >= 0 and (last - seq) * step >= 0 do
  local record = call('HGET', r.base .. '/e', seq)
  if record then
    reply[#reply + 1] = seq
    reply[#reply + 1] = record
    if reacted and string.byte(record, 1) == 1 and call('SISMEMBER', r.base .. '/xs', seq) == 1 then
      local members = call('SMEMBERS', r.base .. '/x/' .. seq)
      for _, member in ipairs(members) do taken = taken + #member end
      reply[#reply + 1] = members
    else
      reply[#reply + 1] = false
    end
    items = items - 1
    if taken > bytes then
      if seq ~= last then reply[2] = 1 end
      break
    end
    taken = taken + #record
  end
  seq = seq + step
end
return reply
