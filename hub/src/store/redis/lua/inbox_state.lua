-- A user's own log. What is unread is in /u, and of that nothing is up to the mark: all below it is read at once, and taken out
-- in pieces, with the last of which the mark goes. Nodes that know no mark count what is still to be taken out.

-- How many are taken out in one piece.
local PIECE = 500
-- More than so many are told nobody.
local COUNTED = 1000
local UNREAD = { '/u', '/ue', '/c', '/ce' }

-- All of the own log up to here is read.
local function own_mark(base) return tonumber(call('HGET', base, 'own') or 0) end

local function forget_unread(base, seq)
  local was = call('ZREM', base .. '/u', seq)
  if was == 1 then
    call('ZREM', base .. '/ue', seq)
    if call('ZREM', base .. '/c', seq) == 1 then call('ZREM', base .. '/ce', seq) end
  end
  return was == 1
end

-- Keeps these alone as unread. What all was is freed by the server beside its work, however much it is.
local function keep_unread(base, places)
  local kept = {}
  for n, suffix in ipairs(UNREAD) do
    kept[n] = #places > 0 and call('ZMSCORE', base .. suffix, unpack(places)) or {}
  end
  call('UNLINK', base .. '/u', base .. '/ue', base .. '/c', base .. '/ce')
  for n, suffix in ipairs(UNREAD) do
    local scores = {}
    for place, score in ipairs(kept[n]) do
      if score then
        scores[#scores + 1] = score
        scores[#scores + 1] = places[place]
      end
    end
    if #scores > 0 then call('ZADD', base .. suffix, unpack(scores)) end
  end
end

-- Takes a piece of what is up to the mark out of what is unread; whether that was all.
local function settle_unread(base, now)
  local mark = own_mark(base)
  if mark == 0 then return true end
  local all = call('ZCARD', base .. '/u')
  if all > 0 and call('ZCOUNT', base .. '/ue', '-inf', now) == all then
    keep_unread(base, {})
  else
    local above = call('ZRANGEBYSCORE', base .. '/u', '(' .. mark, '+inf', 'LIMIT', 0, PIECE)
    if #above < PIECE and #above < all then
      keep_unread(base, above)
    elseif #above < all then
      local below = call('ZRANGEBYSCORE', base .. '/u', '-inf', mark, 'LIMIT', 0, PIECE)
      if #below > 0 then
        for _, suffix in ipairs(UNREAD) do call('ZREM', base .. suffix, unpack(below)) end
      end
      if #below == PIECE then return false end
    end
  end
  call('HDEL', base, 'own')
  return true
end

local function remove_own(base, tenant, id, seq)
  call('HDEL', base .. '/n', seq)
  call('ZREM', base .. '/z', seq)
  if id and call('HGET', base .. '/i', id) == tostring(seq) then call('HDEL', base .. '/i', id) end
  forget_unread(base, seq)
  call('HINCRBY', P .. 'count/' .. tenant, 'notices', -1)
end

-- The id of a notice that is kept: after time, priority and expiry.
local function notice_id(record)
  local length = struct.unpack('<H', record, 18)
  return string.sub(record, 20, 19 + length)
end

-- How many are in a set after the mark that have not expired; the other set has those that will, by when.
local function lasting(base, all, expiring, mark, now)
  local after = call('ZCOUNT', base .. all, '(' .. mark, '+inf')
  local expired = call('ZCOUNT', base .. expiring, '-inf', now)
  if after == 0 or expired == 0 then return after end
  local below = call('ZCARD', base .. all) - after
  if below == 0 or after - expired >= COUNTED then return after - expired end
  -- Some of the expired ones are below the mark: they are looked for among whichever are fewer.
  if expired <= below then
    for _, seq in ipairs(call('ZRANGEBYSCORE', base .. expiring, '-inf', now)) do
      if tonumber(seq) > mark then after = after - 1 end
    end
    return after
  end
  for from = 0, below - 1, PIECE do
    local places = call('ZRANGE', base .. all, from, math.min(from + PIECE, below) - 1)
    for _, score in ipairs(call('ZMSCORE', base .. expiring, unpack(places))) do
      if score and tonumber(score) <= now then expired = expired - 1 end
    end
  end
  return after - expired
end

local function counted(base, now)
  local mark = own_mark(base)
  return lasting(base, '/u', '/ue', mark, now), lasting(base, '/c', '/ce', mark, now)
end

-- The tenant's broadcasts, of which a user's are those after known_from (-1: none are): runs of places that follow each other,
-- which are all after complete_from, and of those the expired ones, and critical ones that have not expired.
local function take_broadcasts()
  local b = { head = num(), known_from = num(), oldest = num(), complete_from = num(), runs = {}, expired = {}, critical = {} }
  for n = 1, num() do b.runs[n] = { num(), num() } end
  for n = 1, num() do b.expired[n] = arg() end
  for n = 1, num() do b.critical[n] = arg() end
  return b
end

-- How many of some broadcasts after a place a user has not seen.
local function unseen_among(base, places, after)
  local count = 0
  for from = 1, #places, PIECE do
    local piece = { unpack(places, from, math.min(from + PIECE - 1, #places)) }
    for n, score in ipairs(call('ZMSCORE', base .. '/s', unpack(piece))) do
      if not score and tonumber(piece[n]) > after then count = count + 1 end
    end
  end
  return count
end

-- How many broadcasts a user has not seen, and how many critical ones: all but those up to the mark, and those in /s.
local function unseen(base, b, read)
  local after, count = math.max(b.known_from, read), 0
  for _, run in ipairs(b.runs) do
    local first, last = math.max(run[1], after + 1), run[2]
    if first <= last then count = count + last - first + 1 - call('ZCOUNT', base .. '/s', first, last) end
  end
  return count - unseen_among(base, b.expired, after), unseen_among(base, b.critical, after)
end

-- Everything that a summary is made of: head, how far broadcasts were read, unread, critical, and whether some broadcasts were
-- read or deleted one by one.
local function inbox_state(base, now, broadcasts)
  local found = call('HMGET', base, 'head', 'read')
  local read = tonumber(found[2] or 0)
  local own, own_critical = counted(base, now)
  local all, all_critical = unseen(base, broadcasts, read)
  local some = call('EXISTS', base .. '/s', base .. '/x')
  return { tonumber(found[1] or 0), read, own + all, own_critical + all_critical, some }
end
