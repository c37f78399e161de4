-- Raise the versions of jobs above their rows', where the clock has gone back since the rows were written.
-- keys: b h s
-- args: prefix keep keep_failed
-- include: time mark record
-- The rest: id and version of the row for each job.
-- Answers the number of jobs that were behind.
begin_with_a_free_write(prefix)
local now, count = now_ms(), 0
for at = first, #ARGV, 2 do
  local id, version = ARGV[at], tonumber(ARGV[at + 1])
  local text = redis.call('HGET', h, id)
  local record = parse(text)
  if record.version <= version and redis.call('HEXISTS', b, id) == 1 then
    count = count + 1
    local due = not text and redis.call('ZSCORE', s, id)
    if due then record.state, record.due = 'S', due end
    record.version = version
    touch(record, now)
    redis.call('HSET', h, id, format(record))
    mark(prefix, {whole(record.version), id})
  end
end
return count
