-- What nodes say of somebody's sessions: a hash of nodes, each with until when it holds (i64, the server's clock, in
-- milliseconds), sessions (u32) and marks of instances (8 bytes each). Lets more in where there is room.
-- Arguments: this node, how long what it says holds, its sessions, their marks; how many more are to be let in, how many there
-- may be then, the marks of the one who names an instance: of that, and of it where it is opened from, and whether it is let in
-- where there is room here (its marks are kept then, so that others may take over from it); then nodes that are no more.
-- Answers how many were let in, whether in the place of another (2: of one opened from there too), and the other nodes that
-- have some where not all were.
local key, node, lasts, sessions, marks = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local many, most, mark, from = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for n = 10, #ARGV do redis.call('HDEL', key, ARGV[n]) end

-- Whether a node's sessions have one of that mark.
local function has(record, place, wanted)
  for at = place, #record, 8 do
    if string.sub(record, at, at + 7) == wanted then return true end
  end
  return false
end

local takes_over, others = 0, {}
if many > 0 then
  local count = sessions
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    local ends, of_node, place = struct.unpack('<i8I4', all[n + 1])
    if ends <= now then
      redis.call('HDEL', key, all[n])
    elseif all[n] ~= node then
      count = count + of_node
      others[#others + 1] = all[n]
      if mark ~= '' and has(all[n + 1], place, mark) then
        takes_over = math.max(takes_over, has(all[n + 1], place, from) and 2 or 1)
      end
    end
  end
  local room = takes_over > 0 and many or math.max(0, most - count)
  if room >= many then others = {} end
  many = math.min(many, room)
  sessions = sessions + many
  if many > 0 and ARGV[9] == '1' then marks = marks .. mark .. from end
end
if sessions > 0 then
  redis.call('HSET', key, node, struct.pack('<i8I4', now + lasts, sessions) .. marks)
  redis.call('PEXPIRE', key, lasts)
else
  redis.call('HDEL', key, node)
end
return {many, takes_over, others}
