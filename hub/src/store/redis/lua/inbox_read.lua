-- What a user's inbox holds.
local tenant, user, now = arg(), arg(), num()
return inbox_state(P .. 'u/' .. tenant .. '/' .. user, now, take_broadcasts())
