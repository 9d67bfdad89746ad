-- Gives the hub another epoch, unless somebody has done so already; gives the one that it has.
local known, epoch = arg(), arg()
local base = P .. 'hub'
if call('HGET', base, 'epoch') == known then call('HSET', base, 'epoch', epoch) end
return call('HGET', base, 'epoch')
