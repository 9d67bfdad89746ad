-- A bucket that nodes share: when it is full again, in milliseconds of the server's clock; none where it is full. An empty one
-- is full after its whole time: what lies further ahead is of another server's clock, or of before this one was set.
-- Takes one (`every` > 0) and says after how long there will be one where there is none, or gives one back (`every` < 0).
local key, every, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local whole = math.abs(every) * burst
local known = math.min(tonumber(redis.call('GET', key) or 0), now + whole)
local full_at = math.max(known, now) + every
local lacks = full_at - now - whole
if lacks > 0 then return lacks end
if full_at > now then
  redis.call('SET', key, string.format('%.0f', full_at), 'PX', full_at - now)
else
  redis.call('DEL', key)
end
return 0
