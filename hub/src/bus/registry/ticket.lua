-- Keeps what a ticket speaks for. The first key is a sorted set, the names of the tickets that somebody holds by their ends
-- (the server's clock, in milliseconds); the second is the ticket's own.
-- Arguments: its name, what is kept, how long, how many there may be with it. After how long there is room where there is none.
local held, ticket = KEYS[1], KEYS[2]
local name, sealed, life, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', held, '-inf', string.format('%.0f', now))
if redis.call('ZCARD', held) >= most then
  local first = redis.call('ZRANGE', held, 0, 0, 'WITHSCORES')
  return math.max(1, tonumber(first[2]) - now)
end
redis.call('ZADD', held, string.format('%.0f', now + life), name)
-- One that was kept before may end later.
if redis.call('PTTL', held) < life then redis.call('PEXPIRE', held, life) end
redis.call('SET', ticket, sealed, 'PX', life)
return 0
