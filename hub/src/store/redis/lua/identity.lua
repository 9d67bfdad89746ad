-- What the hub is: made once, and whatever of it is missing again. Gives format, epoch and secret.
local format, epoch, secret = arg(), arg(), arg()
local base = P .. 'hub'
call('HSETNX', base, 'format', format)
call('HSETNX', base, 'epoch', epoch)
call('HSETNX', base, 'secret', secret)
return call('HMGET', base, 'format', 'epoch', 'secret')
