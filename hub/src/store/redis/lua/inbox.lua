-- Commits an outcome whose home is a user's inbox. What of the tenant's broadcasts it is about was looked up before.
local now, limit, window, floor, writes, groups = struct.unpack('<i8I4I8I8I4I4', arg())
local tenant, user = arg(), arg()
local key = take_key(limit, window, floor)
local head = arg()
local broadcasts = take_broadcasts()
local base = P .. 'u/' .. tenant .. '/' .. user

local before = answer_of_before(key, now)
if before then
  if before[1] == 'dup' then before[3] = inbox_state(base, now, broadcasts) end
  return before
end
if not make_place(key, now) then return { 'many' } end

local function read_up_to() return tonumber(call('HGET', base, 'read') or 0) end
local function seen_up_to()
  return math.max(broadcasts.known_from, read_up_to())
end

local function see(seq)
  if broadcasts.known_from < 0 or seq <= seen_up_to() then return false end
  return call('ZADD', base .. '/s', 'NX', seq, seq) == 1
end

-- Moves the mark to `read`, at most to the head, and over what was seen after it.
local function advance(read)
  local before = seen_up_to()
  local mark = math.max(before, math.min(read, broadcasts.head))
  if mark >= broadcasts.complete_from then
    for _, run in ipairs(broadcasts.runs) do
      local first, last = math.max(run[1], mark + 1), run[2]
      -- The first that is not seen, of those from here on.
      local low, high = first, last + 1
      while low < high do
        local middle = math.floor((low + high) / 2)
        if call('ZCOUNT', base .. '/s', low, middle) == middle - low + 1 then low = middle + 1 else high = middle end
      end
      if low > first then mark = low - 1 end
      if first <= last and low <= last then break end
    end
  end
  if mark <= before then return false end
  call('HSET', base, 'read', mark)
  call('ZREMRANGEBYSCORE', base .. '/s', '-inf', mark)
  return true
end

-- Moves the own log's mark to a place, at most to the head; whether anything unread is up to there.
local function read_own(place)
  local mark = math.min(place, tonumber(call('HGET', base, 'head') or 0))
  local before = own_mark(base)
  if mark <= before or call('ZCOUNT', base .. '/u', '(' .. before, mark) == 0 then return false end
  call('HSET', base, 'own', mark)
  return true
end

-- Deleted broadcasts that a change looks whether they are gone: more than one deletes.
local FORGOTTEN = 256

local changes = {}
for _ = 1, writes do
  local op = arg()
  local changed = false
  if op == 'U' then
    local own, broadcast = num(), num()
    changed = read_own(own)
    changed = advance(broadcast) or changed
  else
    local mark = own_mark(base)
    for _ = 1, num() do
      local id = arg()
      local seq = call('HGET', base .. '/i', id)
      if seq and op == 'R' then
        changed = tonumber(seq) > mark and forget_unread(base, seq) or changed
      elseif seq then
        remove_own(base, tenant, id, tonumber(seq))
        changed = true
      end
    end
    for _ = 1, num() do
      local seq = num()
      if op == 'R' then
        changed = see(seq) or changed
      else
        changed = call('SADD', base .. '/x', seq) == 1 or changed
        see(seq)
      end
    end
  end
  if changed then
    advance(0)
    -- What is gone is forgotten sooner or later: some are looked at with each change.
    for _, seq in ipairs(call('SRANDMEMBER', base .. '/x', FORGOTTEN)) do
      if tonumber(seq) < broadcasts.oldest then call('SREM', base .. '/x', seq) end
    end
  end
  changes[#changes + 1] = changed and 1 or 0
end
if not settle_unread(base, now) then call('ZADD', P .. 'due', now, 'm/' .. tenant .. '/' .. user) end
if #changes > 0 then call('SADD', P .. 'tenants', tenant) end
local waits = take_effects(groups, tenant, head)
local done = keep_key(key, { seq = 0, tag = 0, number = 0, time = now, version = 0 }, waits)
return { 'ok', done, inbox_state(base, now, broadcasts), changes }
