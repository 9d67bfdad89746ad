-- Removes notifications that have ended: `due` says which.
local now, most = num(), num()
local removed = 0
for _, member in ipairs(call('ZRANGEBYSCORE', P .. 'due', '-inf', now, 'LIMIT', 0, most)) do
  local kind, tenant, rest = string.match(member, '^(.)/([^/]*)/(.*)$')
  if kind == 'n' then
    local user, seq = string.match(rest, '^(.*)/(%d+)$')
    local base = P .. 'u/' .. tenant .. '/' .. user
    local record = call('HGET', base .. '/n', seq)
    if record then remove_own(base, tenant, notice_id(record), tonumber(seq)) end
    call('ZREM', P .. 'due', member)
    removed = removed + 1
  elseif kind == 'b' then
    local base = P .. 't/' .. tenant
    local record = call('HGET', base .. '/n', rest)
    if record then
      local id = notice_id(record)
      call('HDEL', base .. '/n', rest)
      call('HDEL', base .. '/m', rest)
      call('ZREM', base .. '/z', rest)
      if call('HGET', base .. '/i', id) == rest then call('HDEL', base .. '/i', id) end
      call('HINCRBY', base, 'ver', 1)
    end
    call('ZREM', P .. 'due', member)
    removed = removed + 1
  end
end
return removed
