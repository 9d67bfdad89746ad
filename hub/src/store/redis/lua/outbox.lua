-- Effects on other homes wait in the partition's outbox, in order. An item is its number, its kind, the tenant and what
-- that kind says; it may concern many users.
local OUTBOX_MOST = 10000

local function outbox_is_full() return call('LLEN', P .. 'out') >= OUTBOX_MOST end

-- Puts one in; gives its number. `delay` ms later somebody looks whether it was applied.
local function put_out(kind, tenant, body, now)
  local number = call('INCR', P .. 'outn')
  call('RPUSH', P .. 'out', struct.pack('<I8B', number, kind) .. text16(tenant) .. body)
  call('ZADD', P .. 'due', 'NX', now + 2000, 'o')
  return number
end

-- Takes the arguments of effects: groups of a notice and whom it is for. Gives the last number; 0 where there are none.
local function take_effects(tenant, now)
  local last = 0
  for _ = 1, num() do
    local notice, users = arg(), num()
    local left = users
    while left > 0 do
      local slice = math.min(left, 128)
      local list = {}
      for n = 1, slice do list[n] = text16(arg()) end
      left = left - slice
      last = put_out(1, tenant, struct.pack('<I4', #notice) .. notice .. table.concat(list), now)
    end
  end
  return last
end
