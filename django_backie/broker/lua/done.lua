-- Un-mark mirrored jobs unless they have changed again; what has ended leaves Redis, the row is its record now.
-- keys: d b h e g pr
-- args: prefix
-- include: time record tombs
-- The rest: id and version for each job.
-- Answers the ids among them that were erased meanwhile: their rows must go.
begin_with_a_free_write(prefix)
local erased, unchanged, versions, over = {}, {}, {}, {}
local gone, gone_at, entombed = {}, {}, {}
local watch = redis.call('EXISTS', e) == 1
for at = first, #ARGV, 2 do
  local id, version = ARGV[at], ARGV[at + 1]
  if watch and redis.call('ZSCORE', e, id) then erased[#erased + 1] = id end
  if redis.call('ZSCORE', d, id) == version then
    unchanged[#unchanged + 1] = id
    versions[#versions + 1] = version
  end
end
for index, text in pairs(fetch(h, unchanged)) do
  local state = text and string.sub(text, 1, 1)
  if ended[state] then over[#over + 1] = unchanged[index] end
  if state == 'F' or state == 'C' then
    gone[#gone + 1] = unchanged[index]
    gone_at[#gone_at + 1] = versions[index]
  end
end
-- Without its body a job is half of a script, or erased: its row was not written, and must be able to bring it back.
for index, body in pairs(fetch(b, gone)) do
  if body then
    entombed[#entombed + 1] = gone_at[index]
    entombed[#entombed + 1] = gone[index]
  end
end
if #entombed > 0 then entomb(entombed) end
call_in_chunks('ZREM', d, unchanged, 500)
call_in_chunks('HDEL', pr, over, 500)
call_in_chunks('HDEL', h, over, 500)
call_in_chunks('HDEL', b, over, 500)
return erased
