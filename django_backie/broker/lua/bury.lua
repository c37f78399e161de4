-- Take back at once what a dead worker holds; whoever saw it die calls this.
-- keys: w
-- args: prefix worker keep keep_failed
-- include: time mark record place adaptive limits recover
-- The rest: ids of the jobs that had started; no other is charged.
-- Answers the number of jobs taken back.
begin_with_a_free_write(prefix)
local begun = {}
for at = first, #ARGV do begun[ARGV[at]] = true end
return recover(prefix, worker, now_ms(), begun)
