-- Renews a lease by the server's clock, or begins a new one, and gives all leases with what is left of each.
local key, life, lease, is_new = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
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
