-- What nodes say of somebody's sessions: a hash of nodes, each with until when it holds (i64, the server's clock, in
-- milliseconds), sessions (u32) and marks of instances (8 bytes each). Lets one more in where there is room.
-- Arguments: this node, how long what it says holds, its sessions, their marks; then of who is to be let in (`most` 0: nobody)
-- on top of how many of this node, the mark, how many there may be; then nodes that are no more.
local key, node, lasts, sessions, marks = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local before, mark, most = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for n = 8, #ARGV do redis.call('HDEL', key, ARGV[n]) end

-- Whether a node's sessions have one of the instance.
local function has(record, place)
  for at = place, #record, 8 do
    if string.sub(record, at, at + 7) == mark then return true end
  end
  return false
end

if most > 0 then
  local count, replaces, others = before, false, {}
  local all = redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    local ends, of_node, place = struct.unpack('<i8I4', all[n + 1])
    if ends <= now then
      redis.call('HDEL', key, all[n])
    elseif all[n] ~= node then
      count = count + of_node
      others[#others + 1] = all[n]
      replaces = replaces or (mark ~= '' and has(all[n + 1], place))
    end
  end
  if count >= most and not replaces then return others end
end
if sessions > 0 then
  redis.call('HSET', key, node, struct.pack('<i8I4', now + lasts, sessions) .. marks)
  redis.call('PEXPIRE', key, lasts)
else
  redis.call('HDEL', key, node)
end
return 1
