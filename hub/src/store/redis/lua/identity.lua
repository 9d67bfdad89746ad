-- What the hub is: made once. Gives format, epoch and secret.
local format, epoch, secret = arg(), arg(), arg()
local base = P .. 'hub'
if call('EXISTS', base) == 0 then
  call('HSET', base, 'format', format, 'epoch', epoch, 'secret', secret)
end
return call('HMGET', base, 'format', 'epoch', 'secret')
