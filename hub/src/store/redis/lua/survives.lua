-- Whether something that was acknowledged is still there, or was removed: an entry by its tag, a notification by its id.
local kind, base, seq, mark = arg(), arg(), num(), arg()
if kind == 'r' then
  local r = read_room(base)
  local record = call('HGET', base .. '/e', seq)
  if record then return open(record).tag == tonumber(mark) and 1 or 0 end
  -- Retention removed it, or it is lost.
  return r.first > seq and r.head >= seq and 1 or 0
end
-- One of the same id that came later has taken its place.
local found = call('HGET', base .. '/i', mark)
if found then return tonumber(found) >= seq and 1 or 0 end
if tonumber(call('HGET', base, 'head') or 0) < seq then return 0 end
-- Its reader removed it, or it has ended; or it was lost, and another is in its place: time i64, priority u8, expires i64, id.
local record = call('HGET', base .. '/n', seq)
if not record then return 1 end
local length = struct.unpack('<H', record, 18)
return string.sub(record, 20, 19 + length) == mark and 1 or 0
