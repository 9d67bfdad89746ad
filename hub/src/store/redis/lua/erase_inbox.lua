-- Removes a batch of a user's inbox; gives how many went and whether more is left.
local tenant, user, most = arg(), arg(), num()
local base = P .. 'u/' .. tenant .. '/' .. user
local removed = 0
for _, seq in ipairs(call('ZRANGE', base .. '/z', 0, most - 1)) do
  local record = call('HGET', base .. '/n', seq)
  if record then
    remove_own(base, tenant, notice_id(record), tonumber(seq))
    call('ZREM', P .. 'due', 'n/' .. tenant .. '/' .. user .. '/' .. seq)
    removed = removed + 1
  end
end
if call('ZCARD', base .. '/z') > 0 then return { removed, 1 } end
call('DEL', base .. '/s', base .. '/x')
call('HDEL', base, 'read', 'own')
return { removed, 0 }
