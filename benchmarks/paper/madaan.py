"""The tables of Madaan et al. (2024), Quantifying Variance in Evaluation Benchmarks, arXiv 2406.10229.

As transcribed in our notes; what they do not know is left out (NaN). Ten seeds of a 7B decoder, 210 billion
tokens, 21 checkpoints; points (0-100).
"""

from io import StringIO

import pandas as pd

TABLE_1 = pd.read_csv(
    StringIO(
        """benchmark,size,chance,mean,E,ci,tau,tau_continuous
AGIEval,2546,20,23.44,0.77,1.63,0.37,0.29
ARC-C,1165,25,39.71,0.80,2.74,0.88,0.91
BBH,6511,0,29.10,0.87,1.07,0.77,
COPA,100,50,78.80,2.15,8.30,0.56,0.90
GSM8k,1319,0,4.10,0.41,0.87,0.74,0.30
HellaSwag,10042,25,70.08,0.21,0.93,0.99,0.99
HumanEval,164,0,11.89,1.11,3.98,0.79,0.98
MATH,5000,0,1.52,0.23,0.28,0.52,
MMLU,14042,25,25.86,0.57,0.72,0.09,0.15
MMLU-Cloze,14042,25,37.47,0.22,0.79,0.95,0.96
NaturalQuestions,3610,0,16.43,0.60,1.04,0.91,
PIQA,1838,50,76.93,0.41,1.99,0.87,0.93
SIQA,1954,33,46.69,0.55,2.21,0.66,0.81
TriviaQA,11313,0,42.69,0.45,0.83,0.99,
"""
    ),
    index_col="benchmark",
)
TABLE_2 = pd.read_csv(  # five of ten rows are known; of the others only that the continuous SNR is larger
    StringIO(
        """benchmark,mean,std,snr,snr_continuous
ARC-C,39.71,0.87,45.89,381.64
GSM8k,4.10,0.52,7.88,15.24
HellaSwag,70.08,0.12,608.23,1921.15
HumanEval,11.89,1.75,6.79,124.08
MMLU,25.86,0.49,52.45,347.57
"""
    ),
    index_col="benchmark",
)
TABLES_3_4 = pd.read_csv(  # E and monotonicity of all items, of 100 by IRT and by IRT++ (gp-IRT)
    StringIO(
        """benchmark,E,E_irt,E_irt_plus,tau,tau_irt,tau_irt_plus
ARC-C,0.80,1.80,1.86,0.88,0.64,0.63
GSM8k,0.41,1.16,1.49,0.74,,
HellaSwag,0.21,2.06,2.42,0.99,0.84,0.80
"""
    ),
    index_col="benchmark",
)
FRAMINGS_PEARSON = 0.92  # of MMLU in both framings, over about 70 models
