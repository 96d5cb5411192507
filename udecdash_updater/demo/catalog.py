"""Which tables follow from which: a submission from an assignment, a fact from its dimension row."""

from __future__ import annotations

from dataclasses import dataclass

# Base tables: their rows are things of the world.
BASE = (
    "account_dim", "enrollment_term_dim", "role_dim", "user_dim", "course_dim", "course_section_dim",
    "enrollment_dim", "assignment_group_dim", "wiki_dim", "module_dim", "module_item_dim", "wiki_page_dim",
    "quiz_dim", "file_dim", "discussion_topic_dim", "assignment_dim", "external_tool_activation_dim",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Child:
    """`times` rows of `table` for each row of its parent (a fraction: so often on average).

    With `person` each row belongs to another member of the course.
    """

    table: str
    times: float = 1
    person: bool = False


CHILDREN: dict[str, tuple[Child, ...]] = {
    "user_dim": (Child("pseudonym_dim"), Child("communication_channel_dim", 1.3)),
    "pseudonym_dim": (Child("pseudonym_fact"),),
    "communication_channel_dim": (Child("communication_channel_fact"),),
    "course_dim": (
        Child("conference_dim"),
        Child("conversation_dim", 3),
        Child("grading_period_group_dim"),
        Child("group_dim"),
        Child("learning_outcome_dim"),
        Child("learning_outcome_group_dim"),
        Child("course_ui_navigation_item_dim"),
    ),
    "conference_dim": (Child("conference_fact"), Child("conference_participant_dim", 2, person=True)),
    "conference_participant_dim": (Child("conference_participant_fact"),),
    "conversation_dim": (Child("conversation_message_dim", 2.2),),
    "conversation_message_dim": (Child("conversation_message_participant_fact", 3, person=True),),
    "grading_period_group_dim": (Child("grading_period_dim"),),
    "grading_period_dim": (Child("grading_period_fact"),),
    "group_dim": (Child("group_fact"), Child("group_membership_dim", 4, person=True)),
    "group_membership_dim": (Child("group_membership_fact"),),
    "learning_outcome_dim": (
        Child("learning_outcome_fact"),
        Child("learning_outcome_rubric_criterion_dim"),
        Child("learning_outcome_result_dim", 2, person=True),
    ),
    "learning_outcome_rubric_criterion_dim": (Child("learning_outcome_rubric_criterion_fact"),),
    "learning_outcome_result_dim": (
        Child("learning_outcome_result_fact"),
        Child("learning_outcome_question_result_dim"),
    ),
    "learning_outcome_question_result_dim": (Child("learning_outcome_question_result_fact"),),
    "learning_outcome_group_dim": (
        Child("learning_outcome_group_fact"),
        Child("learning_outcome_group_association_fact"),
    ),
    "course_ui_navigation_item_dim": (
        Child("course_ui_canvas_navigation_dim"),
        Child("course_ui_navigation_item_fact"),
    ),
    "enrollment_dim": (
        Child("enrollment_fact"),
        Child("enrollment_rollup_dim"),
        Child("course_score_dim"),
        Child("grading_period_score_dim", 0.2),
        Child("assignment_group_score_dim", 0.1),
    ),
    "course_score_dim": (Child("course_score_fact"),),
    "grading_period_score_dim": (Child("grading_period_score_fact"),),
    "assignment_group_score_dim": (Child("assignment_group_score_fact"),),
    "assignment_group_dim": (Child("assignment_group_fact"), Child("assignment_group_rule_dim")),
    "wiki_dim": (Child("wiki_fact"),),
    "module_dim": (
        Child("module_fact"),
        Child("module_prerequisite_dim", 0.8),
        Child("module_progression_dim", 3, person=True),
    ),
    "module_prerequisite_dim": (Child("module_prerequisite_fact"),),
    "module_progression_dim": (
        Child("module_progression_fact"),
        Child("module_progression_completion_requirement_dim"),
    ),
    "module_progression_completion_requirement_dim": (Child("module_progression_completion_requirement_fact"),),
    "module_item_dim": (Child("module_item_fact"), Child("module_completion_requirement_dim", 0.2)),
    "module_completion_requirement_dim": (Child("module_completion_requirement_fact"),),
    "wiki_page_dim": (Child("wiki_page_fact"),),
    "quiz_dim": (
        Child("quiz_fact"),
        Child("quiz_question_group_dim"),
        Child("quiz_question_dim", 2),
        Child("quiz_submission_dim", 4, person=True),
        Child("quiz_submission_historical_dim", 4, person=True),
    ),
    "quiz_question_group_dim": (Child("quiz_question_group_fact"),),
    "quiz_question_dim": (Child("quiz_question_fact"), Child("quiz_question_answer_dim")),
    "quiz_question_answer_dim": (Child("quiz_question_answer_fact"),),
    "quiz_submission_dim": (Child("quiz_submission_fact"),),
    "quiz_submission_historical_dim": (Child("quiz_submission_historical_fact"),),
    "file_dim": (Child("file_fact"),),
    "discussion_topic_dim": (Child("discussion_topic_fact"), Child("discussion_entry_dim", 4, person=True)),
    "discussion_entry_dim": (Child("discussion_entry_fact"),),
    "assignment_dim": (
        Child("assignment_fact"),
        Child("assignment_rule_dim"),
        Child("assignment_override_dim"),
        Child("submission_dim", 5, person=True),
    ),
    "assignment_override_dim": (
        Child("assignment_override_fact"),
        Child("assignment_override_user_dim", person=True),
    ),
    "assignment_override_user_dim": (
        Child("assignment_override_user_fact"),
        Child("assignment_override_user_rollup_fact"),
    ),
    "submission_dim": (
        Child("submission_fact"),
        Child("submission_file_fact", 0.3),
        Child("submission_comment_dim", 0.25),
    ),
    "submission_comment_dim": (Child("submission_comment_fact"),),
    "external_tool_activation_dim": (Child("external_tool_activation_fact"),),
}
# Facts whose own id is not the id of the dimension row they follow.
OWN_NUMBERS = {"submission_file_fact": "submission_file_id"}
SCORES = ("course_score_dim", "grading_period_score_dim", "assignment_group_score_dim")
# Tables that the bad cut of the real program repeats rows of.
CUT_BADLY = ("course_dim", "enrollment_dim", "module_item_dim", "submission_dim", "user_dim")
