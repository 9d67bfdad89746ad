-- Commits an outcome whose home is a room.
local now, limit, window, floor, count, age, latest, whole, of_service, state_keys, state_bytes,
  most_reactions, condition_count, write_count, groups = struct.unpack('<i8I4I8I8I8i8BBBI4I4I4I4I4I4', arg())
local tenant, room, actor = arg(), arg(), arg()
local key = take_key(limit, window, floor)
local publish, head = arg(), arg()
local keeps_latest, from_start, by_service = latest == 1, whole == 1, of_service == 1

local r = read_room(P .. 'r/' .. tenant .. '/' .. room)
local channel = r.base .. '/c'

local function marks_of(user)
  local record = call('HGET', r.base .. '/k', user)
  if not record then return 0, 0, 0 end
  return struct.unpack('<I8I8I8', record)
end

local function pack_marks(delivered, read, number) return struct.pack('<I8I8I8', delivered, read, number) end

-- Takes the conditions and the writes off the arguments.
local conditions, writes = {}, {}
for n = 1, condition_count do
  local op = arg()
  local c = { op = op }
  if op == 'V' or op == 'B' or op == 'H' then c.number = num()
  elseif op == 'M' then c.user, c.number = arg(), num()
  elseif op == 'n' or op == 'O' then c.user = arg()
  elseif op == 'G' then c.seq, c.sender, c.version = num(), arg(), num() end
  conditions[n] = c
end
local marks_wanted = false
-- Whether something may have to wait in the outbox.
local may_wait = false
for n = 1, write_count do
  local first = arg()
  local op = string.sub(first, 1, 1)
  local w = { op = op }
  if op == 'A' then
    w.kind, w.tag, w.version = struct.unpack('<BI4I4', first, 2)
    w.body = arg()
    if w.kind == 1 and not by_service then marks_wanted = true end
    if w.kind == 5 then may_wait = true end
    if w.kind >= 2 and w.kind <= 4 then w.target = struct.unpack('<I8', w.body) end
  elseif op == 'C' then w.direct = num()
  elseif op == 'M' then
    w.delivered, w.read = num(), num()
    marks_wanted = true
  elseif op == 'Y' then w.seq = num() end
  writes[n] = w
end

if groups > 0 then may_wait = true end

local before = answer_of_before(key, now)
if before then
  if before[1] == 'dup' and marks_wanted then before[3] = pack_marks(marks_of(actor)) end
  return before
end
if may_wait and outbox_is_full() then return { 'over' } end

local function member_version(user)
  local record = call('HGET', r.base .. '/m', user)
  if not record then return nil end
  local role, version = struct.unpack('<BI8', record)
  return version, role
end

local function is_message(seq, sender, version)
  local record = entry_at(r, seq)
  if not record then return false end
  local e = open(record)
  return has_content(e) and (sender == '' or sender == e.sender) and (version < 0 or version == e.version)
end

local function holds(c)
  if c.op == 'N' then return r.created == 0 end
  if c.op == 'V' then return r.created == 1 and r.version == c.number end
  if c.op == 'M' then return member_version(c.user) == c.number end
  if c.op == 'n' then return not member_version(c.user) end
  if c.op == 'B' then return r.members < c.number end
  if c.op == 'O' then
    local _, role = member_version(c.user)
    return r.owners > (role == 4 and 1 or 0)
  end
  if c.op == 'G' then return is_message(c.seq, c.sender, c.version) end
  return r.head >= c.number
end

-- The state that a condition was checked against: the room, the actor's membership, and what the condition names.
local function failed(user, seq)
  local reply = { 'cond', false, '', '', false, user or false, false, seq or 0, false }
  if r.exists then
    reply[2], reply[3], reply[4] = r.hot, r.cold or '', call('HGET', r.base, 'm') or ''
    reply[5] = call('HGET', r.base .. '/m', actor)
    if user then reply[7] = call('HGET', r.base .. '/m', user) end
    if seq then reply[9] = entry_at(r, seq) or false end
  end
  return reply
end

for _, c in ipairs(conditions) do
  if not holds(c) then return failed(c.user, c.seq or (c.op == 'H' and c.number) or nil) end
end
for _, w in ipairs(writes) do
  if w.target and not is_message(w.target, '', -1) then return failed(nil, w.target) end
end
for _, w in ipairs(writes) do
  if w.kind == 4 and string.byte(w.body, 9) == 1 then
    local key = r.base .. '/x/' .. w.target
    local is_full = call('SCARD', key) >= most_reactions
    if is_full and call('SISMEMBER', key, string.sub(w.body, 10) .. '\0' .. actor) == 0 then return { 'reacted' } end
  end
end

-- The key of the state that was emptied first; nil where none is.
local function oldest_emptied()
  local kept, first, found = call('HGETALL', r.base .. '/l'), nil, nil
  for i = 1, #kept, 2 do
    local seq = struct.unpack('<I8', kept[i + 1])
    if is_emptied(open(string.sub(kept[i + 1], 13)).body) and (not first or seq < first) then first, found = seq, kept[i] end
  end
  return found
end

if keeps_latest then
  for _, w in ipairs(writes) do
    if w.kind == 7 then
      local key, size = event_parts(w.body)
      if key ~= '' and not is_emptied(w.body) then
        local kept = call('HGET', r.base .. '/l', key)
        if kept then
          local _, before = struct.unpack('<I8I4', kept)
          if size > before and r.kept_bytes + size - before > state_bytes then return { 'state' } end
        elseif r.kept_bytes + size + #key > state_bytes or r.kept >= state_keys and not oldest_emptied() then
          return { 'state' }
        end
      end
    end
  end
end
if not make_place(key, now) then return { 'many' } end

local done = { seq = 0, tag = 0, number = 0, time = now, version = 0 }
local marks, appended, index = '', {}, {}

local function note_writer(user)
  call('SADD', P .. 'wrote/' .. tenant .. '/' .. user, room)
end

local function set_marks(user, delivered, read, number)
  if call('HSET', r.base .. '/k', user, pack_marks(delivered, read, number)) == 1 then note_writer(user) end
end

local function change_member(seq, change, role, user)
  local record = call('HGET', r.base .. '/m', user)
  if not record then
    if change ~= 1 then return end
    local from = from_start and 1 or seq
    call('HSET', r.base .. '/m', user, struct.pack('<BI8I8I8', role, seq, seq, from))
    call('ZADD', r.base .. '/o', 0, user)
    r.members = r.members + 1
    if role == 4 then r.owners = r.owners + 1 end
    local delivered, read, number = marks_of(user)
    -- To a new member what was written before is history, not unread.
    if r.number > number then set_marks(user, delivered, read, r.number) end
    index[#index + 1] = '\1' .. text16(user)
    return
  end
  local before, _, joined, from = struct.unpack('<BI8I8I8', record)
  if before == 4 then r.owners = r.owners - 1 end
  if change == 1 or change == 4 then
    call('HSET', r.base .. '/m', user, struct.pack('<BI8I8I8', role, seq, joined, from))
    if role == 4 then r.owners = r.owners + 1 end
  else
    call('HDEL', r.base .. '/m', user)
    call('ZREM', r.base .. '/o', user)
    r.members = r.members - 1
    index[#index + 1] = '\0' .. text16(user)
  end
end

local function edit_message(target, seq, content, time)
  local e = open(call('HGET', r.base .. '/e', target))
  local length = struct.unpack('<I4', e.body, 9)
  e.version, e.edited = e.version + 1, time
  rewrite(r, target, e, string.sub(e.body, 1, 8) .. content .. string.sub(e.body, 13 + length))
  local edits = call('HGET', r.base .. '/d', target) or ''
  call('HSET', r.base .. '/d', target, edits .. struct.pack('<I8', seq))
  return e.version
end

local function react(target, body)
  local key = r.base .. '/x/' .. target
  local member = string.sub(body, 10) .. '\0' .. actor
  if string.byte(body, 9) == 1 then
    call('SADD', key, member)
    call('SADD', r.base .. '/xs', target)
  elseif call('SREM', key, member) == 1 and call('EXISTS', key) == 0 then
    call('SREM', r.base .. '/xs', target)
  end
end

local function keep_latest(seq, record, body)
  local key, size = event_parts(body)
  if key == '' then return end
  local kept = call('HGET', r.base .. '/l', key)
  if kept then
    local _, before = struct.unpack('<I8I4', kept)
    r.kept_bytes = r.kept_bytes - before
  elseif is_emptied(body) then
    return
  else
    local gives_way = r.kept >= state_keys and oldest_emptied()
    if gives_way then
      local _, before = struct.unpack('<I8I4', call('HGET', r.base .. '/l', gives_way))
      r.kept, r.kept_bytes = r.kept - 1, r.kept_bytes - before - #gives_way
      call('HDEL', r.base .. '/l', gives_way)
    end
    r.kept, r.kept_bytes = r.kept + 1, r.kept_bytes + #key
  end
  r.kept_bytes = r.kept_bytes + size
  call('HSET', r.base .. '/l', key, struct.pack('<I8I4', seq, size) .. record)
end

local function append(w)
  local seq, time, version = r.head + 1, math.max(now, r.time), w.version
  if w.kind == 1 then
    r.number, r.last, version = r.number + 1, seq, 1
  elseif w.kind == 2 then
    version = edit_message(w.target, seq, string.sub(w.body, 9), time)
    done.version = version
  elseif w.kind == 3 then
    local e = open(call('HGET', r.base .. '/e', w.target))
    blank_message(r, w.target, e)
  elseif w.kind == 4 then
    react(w.target, w.body)
  elseif w.kind == 5 then
    change_member(seq, string.byte(w.body, 1), string.byte(w.body, 2), string.sub(w.body, 3))
  elseif w.kind == 6 then
    call('HSET', r.base, 'm', string.sub(w.body, 2))
    r.version = seq
  end
  local record = close({
    kind = w.kind, tag = w.tag, time = time, number = r.number, version = version, edited = 0, sender = actor, body = w.body
  })
  call('HSET', r.base .. '/e', seq, record)
  stored = stored + stored_bytes(w.kind, w.body)
  if w.kind == 7 and keeps_latest then keep_latest(seq, record, w.body) end
  tell(publish, head, channel, 1, struct.pack('<I8I4', seq, r.tag) .. record)
  appended[#appended + 1] = struct.pack(DONE, seq, r.tag, r.number, time, version)
  r.head, r.tag, r.time = seq, w.tag, time
  if w.kind == 1 then
    if not by_service then
      marks = pack_marks(seq, seq, r.number)
      set_marks(actor, seq, seq, r.number)
    end
  elseif call('HEXISTS', r.base .. '/k', actor) == 0 then
    set_marks(actor, 0, 0, 0)
  end
  done.seq, done.tag, done.number, done.time = seq, w.tag, r.number, time
end

local marks_changed = 0
local function raise(delivered, read)
  delivered, read = math.min(delivered, r.head), math.min(read, r.head)
  local d, m, n = marks_of(actor)
  local number = n
  if read > m then number = math.max(n, number_at(r, read)) end
  local up_to = math.max(read, m)
  local reached = math.max(d, delivered, up_to)
  marks = pack_marks(reached, up_to, number)
  if reached > d or up_to > m or number > n then
    set_marks(actor, reached, up_to, number)
    tell(publish, head, channel, 2, text16(actor) .. pack_marks(reached, up_to, number))
    marks_changed = 1
  end
end

local was_empty = r.first > r.head
for _, w in ipairs(writes) do
  if w.op == 'A' then append(w)
  elseif w.op == 'C' then r.created, r.direct = 1, w.direct
  elseif w.op == 'M' then raise(w.delivered, w.read)
  elseif w.op == 'Y' then
    local record = entry_at(r, w.seq)
    if record then
      local e = open(record)
      done.seq, done.tag, done.number, done.time = w.seq, e.tag, e.number, e.time
    end
  end
end

if #writes > 0 and not r.exists then
  call('ZADD', P .. 'names/' .. tenant, 0, room)
  call('SADD', P .. 'tenants', tenant)
end
local trimmed = 0
if #appended > 0 then
  if age > 0 and was_empty then call('ZADD', P .. 'due', r.time + age, 'a/' .. tenant .. '/' .. room) end
  if (count > 0 or age > 0) and trim(r, count, age, now, 64) then trimmed = r.first end
end
if #writes > 0 then save_room(r) end
save_stored(tenant)

local waits = 0
for from = 1, #index, 128 do
  waits = put_out(2, tenant, text16(room) .. table.concat(index, '', from, math.min(from + 127, #index)), head)
end
local effects = take_effects(groups, tenant, head)
if effects > 0 then waits = effects end
local answer = keep_key(key, done, waits) .. struct.pack('<I8i8BB', trimmed, stored, marks_changed, marks == '' and 0 or 1) .. marks
tell_all()
return { 'ok', answer .. table.concat(appended) }
