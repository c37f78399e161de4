-- Remove jobs that have ended by their rows; a server that lost its last writes may have brought them back.
-- keys: b h s f d x w pr lw
-- args: prefix
-- include: time record place fair adaptive limits
-- The rest: id and version of the row for each job.
-- Answers the number of jobs that were here and older than their rows.
begin_with_a_free_write(prefix)
local workers = redis.call('ZRANGE', w, 0, -1)
local ids = {}
for at = first, #ARGV, 2 do
  local id, version = ARGV[at], tonumber(ARGV[at + 1])
  local body = redis.call('HGET', b, id)
  if body and parse(redis.call('HGET', h, id)).version < version then
    ids[#ids + 1] = id
    redis.call('ZREM', prefix .. 'q:' .. head_of(body), id)
    leave_line(prefix, id, body)
    for _, key in ipairs({pr, b, h, f, lw}) do redis.call('HDEL', key, id) end
    for _, key in ipairs({s, d, x}) do redis.call('ZREM', key, id) end
    for _, worker in ipairs(workers) do redis.call('HDEL', prefix .. 'w:' .. worker, id) end
  end
end
release(prefix, ids, now_ms())
return #ids
