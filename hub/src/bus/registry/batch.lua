-- Keeps a batch of a life's sessions of one tenant, and publishes it: both or neither.
-- One that comes late, over a connection that was given up, is passed over: a later one is kept, which says what is.
-- Where what it follows is not what is kept something was lost: what is left is nothing to begin from, but for the number.
-- ARGV: the batch's number, the number of the one that it follows or '', whether nothing stays after it, for how long what is
-- kept lasts in milliseconds; how and where to publish what; how many sessions are kept, those and their records, and those
-- that are no more. Gives whether it was kept.
-- Where the server refuses to publish, what is kept stays: whoever wrote it is told, and tells all anew.
local PIECE = 400
local key, counter, follows, is_last, lasts = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1', ARGV[4]
local kept = tonumber(redis.call('HGET', key, 'c') or 0)
if kept >= counter then return 0 end
local fits = follows == '' or tonumber(follows) == kept
if follows == '' or is_last or not fits then redis.call('UNLINK', key) end
redis.call('HSET', key, 'c', ARGV[1])
if fits and not is_last then
  local gone = 9 + 2 * tonumber(ARGV[8])
  local function each(command, first, last)
    for n = first, last, PIECE do redis.call(command, key, unpack(ARGV, n, math.min(n + PIECE - 1, last))) end
  end
  each('HSET', 9, gone - 1)
  each('HDEL', gone, #ARGV)
end
redis.call('PEXPIRE', key, lasts)
if not fits then return 0 end
redis.call(ARGV[5], ARGV[6], ARGV[7])
return 1
