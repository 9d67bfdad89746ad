-- Takes a piece of what a user has read by their mark out of what is unread; whether there is more.
local now, tenant, user = num(), arg(), arg()
local is_done = settle_unread(P .. 'u/' .. tenant .. '/' .. user, now)
if is_done then call('ZREM', P .. 'due', 'm/' .. tenant .. '/' .. user) end
return { is_done and 0 or 1 }
