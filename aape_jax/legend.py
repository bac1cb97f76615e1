"""What the terms of AAPE's tables mean."""

from common.terms import Terms

TERMS = Terms(
    rows={
        "aape": "AAPE: a prompt feature that is generated from each image",
        "cocoop": "CoCoOp: CoOp with context vectors that depend on the image",
        "clip_adapter": "CLIP-Adapter: a small network behind the class features",
        "tip_adapter": "Tip-Adapter: similarity with the training photos, added to CLIP's scores",
        "tip_adapter_f": "Tip-Adapter-F: Tip-Adapter with trained features of the photos",
        "paper": "AAPE as the paper's text has it, to the letter",
        "no_distillation": "the method without the distillation loss",
        "aape_only": "AAPE's generated feature as the query, without the classifier's projection",
        "with_g": "AAPE whose classifier has the projection g, too",
        "projection": "AAPE whose classifier is the projection g of class and generated feature",
        "residual": "AAPE whose generated feature starts as the image's own and is the query",
        "mean_prompt": "AAPE that is taught by the plain mean of the sentences",
        "mean_prompt_only": "mean_prompt with the generated feature as the query",
        "random_prompt": "AAPE that is taught by a random sentence",
        "mlp_prompt": "AAPE whose aggregator is a small network",
        "attention_prompt": "AAPE whose aggregator is the paper's attention layer",
        "before_visual": "AAPE with its token in front of the visual tokens",
        "none": "the language model behind the visual tokens alone, without AAPE",
        "nearest_caption": "the training caption that CLIP finds nearest to the image",
        "blind": "the language model without any image",
        "most_frequent": "the most frequent training answer",
        "most_frequent_by_question": "the most frequent training answer to the same question",
        "question_only": "the head without the image",
    },
    metrics={
        "task": "mean cross-entropy of the task",
        "distill": "mean distance of the generated feature from the aggregated prompt",
        "parameters": "number of trained values",
        "cider_d": "CIDEr-D: agreement with people's captions, rare words counting more",
        "bleu_4": "BLEU-4: shared runs of up to four words",
        "rouge_l": "ROUGE-L: longest shared sequence of words",
        "clip_score": "CLIPScore: 2.5 times the cosine of image and caption",
        "ref_clip_score": "RefCLIPScore: CLIPScore and the nearest person's caption together",
        "nats_per_token": "cross-entropy of people's captions",
    },
    pictures={
        "attention": "training photos with the sentences that the aggregator weighs most",
        "captions": "test pictures with the caption of each row",
        "answers": "test pictures with questions and answers",
    },
)
