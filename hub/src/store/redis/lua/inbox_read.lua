-- What a user's inbox holds of their own.
local now, tenant, user = num(), arg(), arg()
return inbox_state(P .. 'u/' .. tenant .. '/' .. user, now)
