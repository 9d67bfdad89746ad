-- A page of a user's own log: from `from` upwards or downwards, so many; each with whether it is unread.
local tenant, user, unread_only, direction, from, most = arg(), arg(), arg() == '1', arg(), arg(), num()
local base = P .. 'u/' .. tenant .. '/' .. user
local mark = own_mark(base)
local reply = {}
for _, seq in ipairs(places(base .. (unread_only and '/u' or '/z'), direction, from, most, unread_only and mark)) do
  local is_unread = tonumber(seq) > mark and call('ZSCORE', base .. '/u', seq)
  reply[#reply + 1] = tonumber(seq)
  reply[#reply + 1] = is_unread and 1 or 0
  reply[#reply + 1] = call('HGET', base .. '/n', seq) or ''
end
return reply
