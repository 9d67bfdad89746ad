-- The place that all of the tenant's broadcasts from there to before another one were seen by a user.
local tenant, user, before = arg(), arg(), num()
local base = P .. 'u/' .. tenant .. '/' .. user
local broadcasts = take_broadcasts()
for n = #broadcasts.runs, 1, -1 do
  local first, last = broadcasts.runs[n][1], math.min(broadcasts.runs[n][2], before - 1)
  if first <= last then
    local function all_seen(from) return call('ZCOUNT', base .. '/s', from, last) == last - from + 1 end
    if not all_seen(first) then
      -- The lowest place from which on all are seen.
      local low, high = first + 1, last + 1
      while low < high do
        local middle = math.floor((low + high) / 2)
        if all_seen(middle) then high = middle else low = middle + 1 end
      end
      return { low }
    end
    before = first
  end
end
return { before }
