"""The job list: no sorting, no unbounded count, a window of 10,000 rows that moves by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin.options import IS_POPUP_VAR, IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import display_for_field, display_for_value, label_for_field, lookup_field
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from ..core.states import State
from ..models import Job, JobState
from . import badges, counts, databases, display, paginator, reach, search
from .filters import ValueFilter, WindowFilter
from .paginator import after, key_before, key_of
from .reach import Reach

KEY_VAR = "before"

# What needs a person comes first.
CHIP_ORDER = (
    State.FAILED,
    State.RETRYABLE,
    State.RUNNING,
    State.READY,
    State.SCHEDULED,
    State.BLOCKED,
    State.SUCCESSFUL,
    State.CANCELLED,
)


class Chip(NamedTuple):
    """One state above the list, with its bounded count."""

    mark: SafeString | str
    label: str
    number: str
    url: str
    chosen: bool
    empty: bool


class Cell(NamedTuple):
    """One cell of the list."""

    name: str
    label: str
    content: Any
    url: str
    heads_row: bool


class JobChangeList(ChangeList):
    """Django's change list, kept within what an index can answer."""

    model_admin: Any

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the parameters that filter by a field; the window's key does not."""
        return {name: value for name, value in super().get_filters_params(params).items() if name != KEY_VAR}

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return newest first, whatever the request asks for: no other order has an index."""
        return ["-enqueued_at", "-pk"]

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the jobs of the current window without their large columns."""
        queryset = super().get_queryset(request, exclude_parameters).defer(*self._unread())
        rows = self._unconditional(request)
        key = self.params.get(KEY_VAR)
        try:
            queryset, rows = (after(queryset, key), after(rows, key)) if key else (queryset, rows)
        except ValueError as error:
            raise IncorrectLookupParameters from error
        self.conditions = reach.merged(self._conditions())
        self.reach = Reach()
        if self.conditions is None:
            return queryset.none()
        self.reach = reach.reaches(rows, {"": self.conditions})[""]
        return self.reach.of(queryset)

    def get_query_string(self, new_params: dict[str, Any] | None = None, remove: Iterable[str] | None = None) -> str:
        """Return the current address with other parameters; a window is only kept while paging through it."""
        new_params = new_params or {}
        keep_window = PAGE_VAR in new_params or KEY_VAR in new_params
        return super().get_query_string(new_params, [*(remove or []), *([] if keep_window else [KEY_VAR])])

    def get_results(self, request: HttpRequest) -> None:
        """Read the page and the counts; the toolbar shows our filters, a filter column only others."""
        super().get_results(request)
        if not self.result_list.query.is_sliced:
            # All on one page; but the table may have grown since it was counted.
            self.result_list = self.result_list[: max(self.list_per_page, self.list_max_show_all)]
        self._count_states(request)
        self.has_filters = bool(self.other_filters)

    def _count_states(self, request: HttpRequest) -> None:
        """Count the jobs of each state under the other filters."""
        queryset, rows = super().get_queryset(request, ["state"]), self._unconditional(request)
        others = reach.merged(condition for condition in self._conditions() if condition[0] != "state")
        self.state_reaches = dict.fromkeys(JobState.values, Reach())
        if others is None:
            self.counts = dict.fromkeys(JobState.values, 0)
        elif len(others) < 2:
            wanted = {state: others | {("state", (state,))} for state in JobState.values}
            self.state_reaches = reach.reaches(rows, wanted)
            self.counts = counts.by_state(queryset, self.state_reaches)
        else:
            within = reach.reaches(rows, {"": others})[""]
            self.state_reaches = dict.fromkeys(JobState.values, within)
            self.counts = counts.in_one_reach(queryset, within)

    def _conditions(self) -> list[reach.Condition]:
        """Return what is asked of a job's state, queue and task."""
        asked = [spec.condition() for spec in self.filter_specs if isinstance(spec, ValueFilter)]
        return [condition for condition in [*asked, search.condition(self.query)] if condition is not None]

    def _unconditional(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the jobs that could be listed if nothing were asked of state, queue and task."""
        rows = self.root_queryset
        for spec in self.filter_specs:
            if isinstance(spec, WindowFilter):
                rows = spec.queryset(request, rows)
        return rows

    @cached_property
    def filters(self) -> list[Any]:
        """Return the filters that the toolbar shows; the states are chips."""
        specs: list[Any] = self.filter_specs
        return [spec for spec in specs if getattr(spec, "parameter_name", "state") != "state"]

    @cached_property
    def other_filters(self) -> list[Any]:
        """Return the filters by field that a subclass may have added."""
        return [spec for spec in self.filter_specs if not hasattr(spec, "parameter_name")]

    @cached_property
    def chips(self) -> list[Chip]:
        """Return the states with their counts under the other filters."""
        chosen = self.params.get("state", "")
        everything = self._chip("", _("all"), sum(self.counts.values()), chosen=not chosen)
        return [everything] + [
            self._chip(state, badges.label(JobState, state), self.counts[state], chosen=state == chosen)
            for state in CHIP_ORDER
        ]

    @property
    def result_words(self) -> str:
        """Return the number of results as people read it."""
        return display.bounded(self.paginator.found, paginator.LIMIT, may_be_more=self.edge is not None)

    @cached_property
    def older_url(self) -> str:
        """Return the address of the next window, empty unless this is the last page of one that is not the last."""
        if self.page_num < self.paginator.num_pages:
            return ""
        if self.paginator.overflows:
            return self.get_query_string({KEY_VAR: key_of(list(self.result_list)[-1])})
        return self.get_query_string({KEY_VAR: key_before(self.edge)}) if self.edge else ""

    @property
    def edge(self) -> datetime | None:
        """Return the time before which the page did not look, None if it would have shown whatever there is."""
        return self.reach.edge

    @property
    def edge_words(self) -> SafeString | str:
        """Return the edge as people read it, empty if there is none."""
        return display.time_tag(self.edge) if self.edge else ""

    @property
    def newest_url(self) -> str:
        """Return the address of the first window, empty if this is it."""
        return self.get_query_string() if KEY_VAR in self.params else ""

    @property
    def clear_url(self) -> str:
        """Return the address without filters and search, empty if there are none."""
        kept = {IS_POPUP_VAR, databases.PARAMETER}
        if not self.params.keys() - kept:
            return ""
        return super().get_query_string(remove=[name for name in self.params if name not in kept])

    @property
    def kept_params(self) -> list[tuple[str, str]]:
        """Return the parameters that the toolbar's form must carry on, as it has no field for them."""
        own = {SEARCH_VAR, KEY_VAR, *(spec.parameter_name for spec in self.filters)}
        return [(name, value) for name, value in self.params.items() if name not in own]

    @cached_property
    def headers(self) -> dict[str, str]:
        """Return the column names with the words above them."""
        names: Any = self.list_display
        return {name: capfirst(str(label_for_field(name, self.model, self.model_admin))) for name in names}

    @property
    def rows(self) -> Iterator[tuple[Job, list[Cell]]]:
        """Yield every job of the page with its cells."""
        for job in self.result_list:
            yield job, [self._cell(job, name, label) for name, label in self.headers.items()]

    def _cell(self, job: Job, name: str, label: str) -> Cell:
        field, _attribute, value = lookup_field(name, job, self.model_admin)
        empty = self.model_admin.get_empty_value_display()
        content = display_for_field(value, field, empty) if field else display_for_value(value, empty)
        links = name in (self.list_display_links or ())
        return Cell(name, label, content, self._url(job) if links else "", links)

    def _url(self, job: Job) -> str:
        filters: dict[str, Any] = {"preserved_filters": self.preserved_filters, "opts": self.opts}
        return str(add_preserved_filters(filters, self.url_for_result(job)))

    def _unread(self) -> list[str]:
        return [
            "result",
            "error_message",
            *([] if "arguments_preview" in self.list_display else ["arguments"]),
        ]

    def _chip(self, state: str, label: str, count: int, *, chosen: bool) -> Chip:
        mark = badges.state_mark(state) if state else ""
        url = self.get_query_string({"state": state or None})
        reaches = [self.state_reaches[state]] if state else self.state_reaches.values()
        number = display.bounded(count, paginator.LIMIT, may_be_more=any(reach.edge for reach in reaches))
        return Chip(mark, label, number, url, chosen, not count)
