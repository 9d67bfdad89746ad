-- A room: read, written, trimmed.
local function read_room(base)
  local found = call('HMGET', base, 'h', 'c')
  local r = { base = base, exists = found[1] and true or false }
  if found[1] then
    r.head, r.tag, r.number, r.time, r.last, r.first = struct.unpack('<I8I4I8i8I8I8', found[1])
  else
    r.head, r.tag, r.number, r.time, r.last, r.first = 0, 0, 0, 0, 0, 1
  end
  if found[2] then
    r.version, r.created, r.direct, r.members, r.owners, r.kept, r.kept_bytes = struct.unpack('<I8BBI4I4I4I4', found[2])
  else
    r.version, r.created, r.direct, r.members, r.owners, r.kept, r.kept_bytes = 0, 0, 0, 0, 0, 0, 0
  end
  r.cold = found[2]
  r.hot = found[1]
  return r
end

local function save_room(r)
  local hot = struct.pack('<I8I4I8i8I8I8', r.head, r.tag, r.number, r.time, r.last, r.first)
  local cold = struct.pack('<I8BBI4I4I4I4', r.version, r.created, r.direct, r.members, r.owners, r.kept, r.kept_bytes)
  if cold ~= r.cold then
    call('HSET', r.base, 'h', hot, 'c', cold)
  elseif hot ~= r.hot then
    call('HSET', r.base, 'h', hot)
  end
end

-- What an entry counts as in its tenant's storage: the same as `EntryBody::stored_bytes`.
local function pairs_bytes(body, place)
  local bytes = 0
  while place <= #body do
    local length = struct.unpack('<H', body, place)
    bytes = bytes + length
    place = place + 2 + length
  end
  return bytes
end

local function content_bytes(body, place)
  local length = struct.unpack('<I4', body, place)
  if length == 0 then return 0 end
  return length - 2 - string.byte(body, place + 5)
end

local STORED_OVERHEAD = 100
local function stored_bytes(kind, body)
  local own = 0
  if kind == 1 then
    own = content_bytes(body, 9) + pairs_bytes(body, 13 + struct.unpack('<I4', body, 9))
  elseif kind == 2 then
    own = content_bytes(body, 9)
  elseif kind == 4 then
    own = #body - 9
  elseif kind == 6 then
    own = pairs_bytes(body, 2)
  elseif kind == 7 then
    local length = struct.unpack('<I4', body)
    own = content_bytes(body, 1) + #body - (5 + length)
  end
  return STORED_OVERHEAD + own
end

-- By how much this script changes what the tenant's rooms hold.
local stored = 0

-- Writes that down; gives it.
local function save_stored(tenant)
  if stored ~= 0 then call('HINCRBY', P .. 'count/' .. tenant, 'bytes', stored) end
  return stored
end

-- Writes an entry that was there before with another body.
local function rewrite(r, seq, e, body)
  stored = stored - stored_bytes(e.kind, e.body) + stored_bytes(e.kind, body)
  e.body = body
  call('HSET', r.base .. '/e', seq, close(e))
end

local function entry_at(r, seq)
  if seq < r.first or seq > r.head then return nil end
  return call('HGET', r.base .. '/e', seq)
end

-- The number at a place that is not beyond the head.
local function number_at(r, seq)
  if seq == r.head then return r.number end
  local record = entry_at(r, seq)
  if record then return open(record).number end
  if seq == 0 then return 0 end
  -- Retention removed it: what came before the oldest entry that is left.
  local oldest = entry_at(r, r.first)
  if not oldest then return r.number end
  local e = open(oldest)
  return e.number - (e.kind == 1 and 1 or 0)
end

local function drop_reactions(r, seq)
  if call('SREM', r.base .. '/xs', seq) == 1 then call('DEL', r.base .. '/x/' .. seq) end
end

local function drop_first(r)
  local seq = r.first
  local record = call('HGET', r.base .. '/e', seq)
  if record then
    local e = open(record)
    stored = stored - stored_bytes(e.kind, e.body)
    call('HDEL', r.base .. '/e', seq)
  end
  call('HDEL', r.base .. '/d', seq)
  drop_reactions(r, seq)
  r.first = seq + 1
end

-- Removes what retention does not keep, at most so many. Whether anything went.
local function trim(r, count, age, now, most)
  local before = r.first
  while most > 0 and r.first <= r.head do
    local excess = count > 0 and r.head - r.first + 1 > count
    if not excess then
      if age <= 0 then break end
      local record = call('HGET', r.base .. '/e', r.first)
      if record and open(record).time + age > now then break end
    end
    drop_first(r)
    most = most - 1
  end
  return r.first > before
end

-- When the oldest entry is to go by its age; nil where there is none.
local function oldest_ends(r, age)
  if age <= 0 or r.first > r.head then return nil end
  local record = call('HGET', r.base .. '/e', r.first)
  return record and open(record).time + age
end

-- Blanks a message, its attributes, its edits and its reactions. Whether it said anything.
local function blank_message(r, seq, e)
  local said = has_content(e)
  rewrite(r, seq, e, string.sub(e.body, 1, 8) .. '\0\0\0\0')
  local edits = call('HGET', r.base .. '/d', seq)
  if edits then
    for place = 1, #edits, 8 do
      local edit = struct.unpack('<I8', edits, place)
      local record = call('HGET', r.base .. '/e', edit)
      if record then
        local e = open(record)
        rewrite(r, edit, e, string.sub(e.body, 1, 8) .. '\0\0\0\0')
      end
    end
    call('HDEL', r.base .. '/d', seq)
  end
  drop_reactions(r, seq)
  return said
end

-- Whether an event says nothing, and so takes its key out of the state.
local function is_emptied(body) return struct.unpack('<I4', body) == 0 end

-- An event's parts: how large it is, and its key.
local function event_parts(body)
  local length = struct.unpack('<I4', body)
  local payload = 0
  if length > 0 then payload = length - 2 - string.byte(body, 6) end
  local key_length = string.byte(body, 5 + length)
  local key = string.sub(body, 6 + length, 5 + length + key_length)
  return key, #body - (5 + length + key_length) + payload
end
