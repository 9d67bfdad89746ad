-- What nodes say of somebody's sessions: a hash of nodes, each with until when it holds (i64, the server's clock, in
-- milliseconds), sessions (u32) and instances (a mark, the mark of where it is opened from, since when it is let in by the
-- server's clock in microseconds: 8 bytes each). Lets more in where there is room.
-- Arguments: this node, how long what it says holds, its sessions, their instances; how many more are to be let in, how many there
-- may be then, the marks of the one who names an instance: of that, and of it where it is opened from, and whether it is let in
-- where there is room here (its marks are kept then, so that others may take over from it); then nodes that are no more.
-- Answers how many were let in, whether in the place of another (2: of one opened from there too), the other nodes that
-- have some where not all were, since when they are let in, and of this node's instances those that others have let in later:
-- the mark, and when.
local key, node, lasts, sessions, marks = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local many, most, mark, from = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = time[1] * 1000000 + time[2]
for n = 10, #ARGV do redis.call('HDEL', key, ARGV[n]) end

-- Who is let in now is the latest, also where another server has taken over whose clock is behind.
local function comes_after(since) at = math.max(at, since + 1) end

local own = {}
for n = 1, #marks, 24 do
  local since = struct.unpack('<i8', marks, n + 16)
  own[string.sub(marks, n, n + 7)] = since
  comes_after(since)
end

local takes_over, others, later = 0, {}, {}

-- Looks at another node's instances: whether one takes over from them, and which of this node's they came after.
local function look(record, place)
  for n = place, #record - 23, 24 do
    local its, there = string.sub(record, n, n + 7), string.sub(record, n + 8, n + 15)
    if mark ~= '' and its == mark then takes_over = math.max(takes_over, there == from and 2 or 1) end
    local since, others_since = own[its], struct.unpack('<i8', record, n + 16)
    comes_after(others_since)
    if since and others_since > since then
      later[#later + 1] = its .. string.sub(record, n + 16, n + 23)
    end
  end
end

if many > 0 or marks ~= '' then
  local count = sessions
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    local ends, of_node, place = struct.unpack('<i8I4', all[n + 1])
    if ends <= now then
      redis.call('HDEL', key, all[n])
    elseif all[n] ~= node then
      count = count + of_node
      others[#others + 1] = all[n]
      look(all[n + 1], place)
    end
  end
  local room = takes_over > 0 and many or math.max(0, most - count)
  if room >= many then others = {} end
  many = math.min(many, room)
  sessions = sessions + many
  if many > 0 and ARGV[9] == '1' and mark ~= '' then marks = marks .. mark .. from .. struct.pack('<i8', at) end
end
if sessions > 0 then
  redis.call('HSET', key, node, struct.pack('<i8I4', now + lasts, sessions) .. marks)
  redis.call('PEXPIRE', key, lasts)
else
  redis.call('HDEL', key, node)
end
return {many, takes_over, others, at, later}
