-- Commits an outcome whose home is the tenant: its broadcasts, its directory, effects on many.
local now, limit, window, floor, retention, conditions, writes, groups = struct.unpack('<i8I4I8I8I8I4I4I4', arg())
local tenant, actor = arg(), arg()
local key = take_key(limit, window, floor)
local publish, head = arg(), arg()

local before = answer_of_before(key, now)
if before then return before end
-- All that it may be under is one that never holds.
if conditions > 0 then return { 'cond' } end
if groups > 0 and outbox_is_full() then return { 'over' } end
if not make_place(key, now) then return { 'many' } end

local base = P .. 't/' .. tenant
local done = { seq = 0, tag = 0, number = 0, time = now, version = 0 }
local told = {}

local function broadcast(id, priority, expires, notice)
  local found = call('HMGET', base, 'head', 'time')
  local seq = tonumber(found[1] or 0) + 1
  local time = math.max(tonumber(found[2] or 0), now)
  local old = call('HGET', base .. '/i', id)
  if old then
    call('HDEL', base .. '/n', old)
    call('HDEL', base .. '/m', old)
    call('ZREM', base .. '/z', old)
  end
  call('HSET', base, 'head', seq, 'time', time)
  call('HINCRBY', base, 'ver', 1)
  call('HSET', base .. '/n', seq, struct.pack('<i8', time) .. notice)
  call('HSET', base .. '/m', seq, struct.pack('<Bi8', priority, expires))
  call('ZADD', base .. '/z', seq, seq)
  call('HSET', base .. '/i', id, seq)
  call('ZADD', P .. 'due', ends_at(time, expires, retention), 'b/' .. tenant .. '/' .. seq)
  call('SADD', P .. 'tenants', tenant)
  tell(publish, head, base .. '/c', 4, struct.pack('<I8i8', seq, time) .. notice)
  done.seq, done.time = seq, time
  told[#told + 1] = seq
  told[#told + 1] = time
end

for _ = 1, writes do
  local op = arg()
  if op == 'K' then
    if call('HSETNX', base .. '/d', actor, call('HGET', base, 'head') or 0) == 1 then call('SADD', P .. 'tenants', tenant) end
  else
    local id, priority, expires, notice = arg(), num(), num(), arg()
    broadcast(id, priority, expires, notice)
  end
end
local waits = take_effects(groups, tenant, head)
local reply = { 'ok', keep_key(key, done, waits) }
tell_all()
for _, number in ipairs(told) do reply[#reply + 1] = number end
return reply
