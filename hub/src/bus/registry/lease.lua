-- Renews a lease by the server's clock, or begins a new one, and gives all leases with what is left of each.
-- Time in which nobody renewed a lease does not count: then the server was away, or another one answers whose clock differs
-- (each node renews its lease at a third of what is usual). So it is, too, for who begins a new one: nodes that were there
-- before may not have come back to the server yet.
local key, seen, life, lease, is_new = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local usual = tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local passed = now - tonumber(redis.call('GET', seen) or now)
redis.call('SET', seen, string.format('%.0f', now))
if passed < 0 or passed > usual / 2 then
  for _, other in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    redis.call('ZINCRBY', key, passed, other)
  end
end
local ends = redis.call('ZSCORE', key, life)
local is_renewed = is_new or (ends and tonumber(ends) > now)
if is_renewed then
  redis.call('ZADD', key, now + lease, life)
end
local answer = { is_renewed and 1 or 0 }
local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
for n = 1, #all, 2 do
  answer[#answer + 1] = all[n]
  answer[#answer + 1] = math.max(tonumber(all[n + 1]) - now, 0)
end
return answer
