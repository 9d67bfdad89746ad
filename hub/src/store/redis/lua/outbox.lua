-- Effects on other homes wait in the partition's outbox, in order. An item is its number, its kind, the tenant and what
-- that kind says; it may concern many users.
local OUTBOX_MOST = 10000

local function outbox_is_full() return call('LLEN', P .. 'out') >= OUTBOX_MOST end

-- Puts one in; gives its number. Numbers go with the server's time, so that those which were lost are not given out again,
-- whichever node comes next: targets would take what bears them for what they have had. `head` says in which epoch. Somebody
-- looks whether it was applied: by the number they see for how long it has waited.
local function put_out(kind, tenant, body, head)
  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local number = math.max(tonumber(call('GET', P .. 'outn') or 0) + 1, now * 1024)
  call('SET', P .. 'outn', string.format('%.0f', number))
  call('RPUSH', P .. 'out', struct.pack('<I8', number) .. string.sub(head, 9, 16) .. string.char(kind) .. text16(tenant) .. body)
  call('ZADD', P .. 'due', 0, 'o')
  return number
end

-- Takes the arguments of effects: groups of a notice and whom it is for. Gives the last number; 0 where there are none.
local function take_effects(groups, tenant, head)
  local last = 0
  for _ = 1, groups do
    local notice, users = arg(), num()
    local left = users
    while left > 0 do
      local slice = math.min(left, 128)
      local list = {}
      for n = 1, slice do list[n] = text16(arg()) end
      left = left - slice
      last = put_out(1, tenant, struct.pack('<I4', #notice) .. notice .. table.concat(list), head)
    end
  end
  return last
end
