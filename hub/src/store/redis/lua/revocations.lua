-- A page of revocations after one, in order, and what has ended goes.
local after, most, now = arg(), num(), num()
local base = P .. 'hub/v'
for _, ended in ipairs(call('ZRANGEBYSCORE', base .. 'e', '-inf', now, 'LIMIT', 0, 1000)) do
  call('ZREM', base .. 'e', ended)
  call('ZREM', base .. 'z', ended)
  call('HDEL', base, ended)
end
local reply = {}
for _, subject in ipairs(call('ZRANGEBYSCORE', base .. 'z', '(' .. after, '+inf', 'LIMIT', 0, most)) do
  reply[#reply + 1] = subject
  reply[#reply + 1] = call('HGET', base, subject)
end
return reply
